"""What a gateway can reach, asked from inside its container by `gpubox doctor`.

Takes `host:port` words in GPUBOX_TARGETS, prints {"reach": {target: what it met}, "redis": answer}. Never prints a secret.
Standard library only: whatever is broken must not keep it from looking.
"""

import json
import os
import socket
import ssl
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


def encrypted(connection, host):
    if os.environ.get("REDIS_SSL") != "true":
        return connection
    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)


def redis():
    host = os.environ.get("REDIS_HOST")
    if not host:
        return None
    words = [word(os.environ.get(name, "")) for name in ("REDIS_USERNAME", "REDIS_PASSWORD") if os.environ.get(name)]
    login = b"*%d\r\n" % (len(words) + 1) + word("AUTH") + b"".join(words) if words else b""
    try:
        address = (host, int(os.environ.get("REDIS_PORT", "6379")))
        with encrypted(socket.create_connection(address, timeout=SECONDS), host) as connection:
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
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted ({error.verify_message})"
    except OSError as error:
        return f"the gateway cannot connect ({error.strerror or error})"


targets = os.environ.get("GPUBOX_TARGETS", "").split()
with ThreadPoolExecutor(max_workers=32) as pool:
    answer = pool.submit(redis)
    met = dict(zip(targets, pool.map(reach, targets)))
    print(json.dumps({"reach": met, "redis": answer.result()}))
