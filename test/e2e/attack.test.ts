import { needs } from "../support/needs";
import { answersIn } from "../support/rawHttp";
import { notRefused } from "./attack/answers";
import { bodyAttacks } from "./attack/bodies";
import { containerAttacks } from "./attack/containers";
import { floodAttacks, slowHeaders } from "./attack/floods";
import { formAttacks } from "./attack/forms";
import { AttackBox, BODY_LIMIT, ENCRYPTED, MOST_AT_ONCE, type Name, PLAIN } from "./attack/lab";
import { pathAttacks } from "./attack/paths";
import { pseudoHeaderAttacks } from "./attack/pseudoHeaders";
import { backendAttacks } from "./attack/redirects";
import { secretAttacks } from "./attack/secrets";
import { smugglingAttacks } from "./attack/smuggling";
import { socketAttacks } from "./attack/sockets";
import { steeringAttacks } from "./attack/steering";

const MINUTE = 60_000;
/** Seconds that the edge gives a client to send its header fields, and what a busy machine needs. */
const HEADER_SECONDS = 30 + 10;

type Slow = ReturnType<typeof slowHeaders>;

needs("docker", "openssl")("a box under attack", () => {
  let opened: AttackBox;
  let untouched: string;
  const box = () => opened;
  /** Begun first and looked at last: they take half a minute. */
  const slow = new Map<Name, Slow>();
  const beginSlow = (names: Name[]) => {
    for (const name of names) slow.set(name, slowHeaders(opened.listener(name), HEADER_SECONDS * 1000));
  };
  const gateways = () =>
    opened.docker(
      ...["inspect", "--format", "{{.Id}} {{.State.StartedAt}} {{.RestartCount}} {{.State.OOMKilled}}"],
      ...["gateway", "valve-bent", "valve-tiny", "backend-tiny", "job-eval"].map((role) =>
        opened.container(role),
      ),
    );

  beforeAll(async () => {
    opened = await AttackBox.open();
    untouched = await gateways();
    beginSlow(PLAIN);
  }, 10 * MINUTE);
  afterAll(() => opened?.close(), MINUTE);

  const attacks = (on: Name[]) => {
    pathAttacks(box, on);
    pseudoHeaderAttacks(box, on);
    smugglingAttacks(box, on);
    socketAttacks(box, on);
    steeringAttacks(box, on);
    formAttacks(box, on);
    backendAttacks(box, on);
    bodyAttacks(box, on, BODY_LIMIT);
    floodAttacks(box, on, MOST_AT_ONCE);
  };
  const slowAttacks = (on: Name[]) =>
    test.each(on)(
      "%s: header fields that come a byte at a time are waited for half a minute",
      async (name) => {
        const { text, tookMs } = await slow.get(name)!;
        expect([name, Math.round(tookMs / 1000) < HEADER_SECONDS]).toEqual([name, true]);
        const [answer] = answersIn(text);
        expect(answer && [answer.status, notRefused(answer)]).toEqual([408, undefined]);
      },
    );

  describe("while its port for clients is plain", () => {
    attacks(PLAIN);
    slowAttacks(PLAIN);
  });

  describe("once it speaks TLS", () => {
    beforeAll(async () => {
      await opened.encrypt();
      beginSlow(ENCRYPTED);
    }, 5 * MINUTE);
    attacks(ENCRYPTED);
  });

  describe("after all that", () => {
    containerAttacks(box);
    secretAttacks(box);
    slowAttacks(ENCRYPTED);

    test("no request ever went to an address that only an attacker named", async () => {
      const { requests } = await opened.kept("canary");
      expect(requests.map(({ port, method, path }) => `${port} ${method} ${path}`)).toEqual([]);
    });

    test("the canary would have noticed", async () => {
      const ask = `import socket; s = socket.create_connection(("canary.test", 80)); s.sendall(b"x\\r\\n\\r\\n"); s.recv(1)`;
      await opened.docker("exec", opened.container("gateway"), "python3", "-c", ask);
      expect((await opened.kept("canary")).requests.map(({ port, method }) => [port, method])).toContainEqual(
        [80, "x"],
      );
    });

    test("no server was restarted or killed", async () => {
      expect(await gateways()).toBe(untouched);
    });
  });
});
