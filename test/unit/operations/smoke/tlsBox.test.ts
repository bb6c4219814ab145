import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { lookAtCertificate, tlsFetch } from "../../../../operations/smoke/tlsBox";
import { hasOpenssl, makeAuthority, makeCertificate, type Pair } from "../../../support/certificates";
import { needs } from "../../../support/needs";

const describeTls = needs("openssl");

describeTls("a box with TLS, seen from itself", () => {
  const authority = hasOpenssl ? makeAuthority("Home Authority") : { certificate: "", key: "" };
  const servers: Server[] = [];
  let asked: string[] = [];

  /** A server with this certificate; its box for the host `box.example`. */
  async function box(pair: Pair) {
    const server = createServer({ cert: pair.certificate, key: pair.key }, (request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers.authorization}`);
      response.write("first ");
      setTimeout(() => response.end("second"), 10);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return { endpoint: `https://box.example:${port}`, address: "127.0.0.1", port };
  }
  const good = () => box(makeCertificate({ names: ["box.example"], by: authority }));

  beforeEach(() => {
    asked = [];
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(() => {
    for (const server of servers) server.close();
  });

  test("describes its certificate, and says that clients need a root which this machine does not trust", async () => {
    const until = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
    expect(await lookAtCertificate(await good())).toBe(
      `for box.example, until ${until}, by Home Authority, which this machine does not trust: clients need its root certificate`,
    );
  });

  test("is called by its name, at its address, and streams", async () => {
    const at = await good();
    const answer = await tlsFetch(at)(`${at.endpoint}/v1/models?x=1`, {
      method: "POST",
      headers: { authorization: "Bearer k" },
      body: "{}",
    });
    expect([answer.status, await answer.text()]).toEqual([200, "first second"]);
    expect(asked).toEqual([`POST /v1/models?x=1 box.example:${at.port} Bearer k`]);
  });

  test("gets no key while its certificate is for another name", async () => {
    const at = await box(makeCertificate({ names: ["other.example"], by: authority }));
    const fetched = tlsFetch(at)(`${at.endpoint}/v1/models`, { headers: { authorization: "Bearer k" } });
    await expect(fetched).rejects.toThrow("the certificate is not for box.example: DNS:other.example");
    expect(asked).toEqual([]);
  });

  test("clients refuse an expired certificate", async () => {
    const at = await good();
    const now = Date.now();
    jest.spyOn(Date, "now").mockReturnValue(now + 31 * 86_400_000);
    await expect(tlsFetch(at)(at.endpoint, {})).rejects.toThrow("the certificate expired on ");
  });
});
