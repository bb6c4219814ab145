import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { scratch } from "../support/allocate";
import { served } from "../support/engines";
import { has, testNeeds } from "../support/needs";

/** Where each client of an image is on this machine. */
const PLACES: Record<string, string> = Object.fromEntries(
  ["curl", "wget", "bash", "python3"].filter(has).map((client) => {
    const [program, ...args] =
      client === "python3"
        ? ["python3", "-c", "import sys; print(sys.executable)"]
        : ["sh", "-c", `command -v ${client}`];
    return [client, execFileSync(program!, args, { encoding: "utf8" }).trim()];
  }),
);

/** What a server that loads answers, and one that is loaded. The text has what shells and patterns would read otherwise. */
const TEXT = `it's "ready" [*] $HOME`;
const ANSWERS: Record<string, [status: number, body: string]> = {
  "/loaded": [200, `{"state": ${TEXT}}\n`],
  "/loading": [200, `{"state": it's "ready"}\n`],
  "/failed": [503, TEXT],
};

describe("the health check of engine: container", () => {
  const dir = scratch("health");
  let server: Server;

  beforeAll(async () => {
    server = createServer((request, response) => {
      const [status, body] = ANSWERS[request.url!]!;
      response.writeHead(status).end(body);
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
  });
  afterAll(() => {
    server.close();
    rmSync(dir, { recursive: true });
  });

  async function passes(client: string, healthPath: string, healthText?: string): Promise<boolean> {
    const entry = {
      ...{ engine: "container", image: { repository: "acme/server", tag: "v1" }, command: ["serve"] },
      ...{ port: (server.address() as AddressInfo).port, healthPath, healthText },
    };
    const [, program = "", ...args] = served(entry).container.health.test;
    const child = spawn(`/bin/${program}`, args, {
      env: { PATH: join(dir, client), HOME: "/nowhere" },
      stdio: "ignore",
    });
    return new Promise((resolve) => child.once("exit", (code) => resolve(code === 0)));
  }

  describe.each(["curl", "wget", "bash", "python3"])("in an image that has only %s", (client) => {
    const asked = testNeeds(client);

    beforeAll(() => {
      mkdirSync(join(dir, client), { recursive: true });
      for (const [name, place] of Object.entries({ [client]: PLACES[client], cat: "/bin/cat" })) {
        writeFileSync(join(dir, client, name), `#!/bin/sh\nexec ${place} "$@"\n`);
        chmodSync(join(dir, client, name), 0o755);
      }
    });

    asked("goes by the status, and by the text where the entry names one", async () => {
      const all = Object.keys(ANSWERS);
      const results = async (text?: string) =>
        Promise.all(all.map(async (path) => [path, await passes(client, path, text)]));
      expect(Object.fromEntries(await results())).toEqual({
        ...{ "/loaded": true, "/loading": true, "/failed": false },
      });
      expect(Object.fromEntries(await results(TEXT))).toEqual({
        ...{ "/loaded": true, "/loading": false, "/failed": false },
      });
    });
  });
});
