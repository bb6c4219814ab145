"""What a gateway can reach, asked from inside its container by `gpubox doctor`.

Takes `host:port` words in GPUBOX_TARGETS, prints {"reach": {target: what it met}, "redis": answer}. Never prints a secret.
Standard library only: whatever is broken must not keep it from looking.
"""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor

# Less than the doctor gives the whole look.
SECONDS = 2


def reach(target):
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS).close()
        return "open"
    except socket.gaierror:
        return "unknown name"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "no answer"


def word(text):
    data = text.encode()
    return b"$%d\r\n%s\r\n" % (len(data), data)


def redis():
    host = os.environ.get("REDIS_HOST")
    if not host:
        return None
    password = os.environ.get("REDIS_PASSWORD", "")
    login = b"*2\r\n" + word("AUTH") + word(password) if password else b""
    try:
        address = (host, int(os.environ.get("REDIS_PORT", "6379")))
        with socket.create_connection(address, timeout=SECONDS) as connection:
            connection.sendall(login + b"*1\r\n" + word("PING"))
            answer = b""
            while answer.count(b"\r\n") < (2 if login else 1):
                part = connection.recv(512)
                if not part:
                    break
                answer += part
        lines = answer.decode(errors="replace").split("\r\n")
        failed = next((line[1:] for line in lines if line.startswith("-")), None)
        return failed or lines[-2].lstrip("+")
    except socket.gaierror:
        return "the gateway does not know its name"
    except OSError as error:
        return f"the gateway cannot connect ({error.strerror or error})"


targets = os.environ.get("GPUBOX_TARGETS", "").split()
with ThreadPoolExecutor(max_workers=32) as pool:
    answer = pool.submit(redis)
    met = dict(zip(targets, pool.map(reach, targets)))
    print(json.dumps({"reach": met, "redis": answer.result()}))
