import { once } from "node:events";
import { request } from "node:http";
import { isIP } from "node:net";
import { Readable } from "node:stream";
import { checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from "node:tls";
import type { BoxWays } from "../../platform/box/ways";
import { within } from "../../platform/within";

/** How to reach a box with TLS from its own host. */
export interface TlsBox {
  /** The URL that clients use, for example `https://llm.example.com`. */
  endpoint: string;
  /** The published address on this host. The name may lead to a router that does not route back. */
  address: string;
  port: number;
}

/**
 * How long the edge may take to serve a new certificate, in milliseconds: it looks every five seconds, then reloads.
 */
const SERVED_WITHIN_MS = 30_000;

/** Longest time for a handshake, in milliseconds. */
const HANDSHAKE_MS = 10_000;

/**
 * Checks the certificate as clients do: it is for the endpoint's host and currently valid. Waits for a certificate that
 * is new. It only reports whether this machine trusts the issuer, because clients may trust a private one.
 *
 * @param waitMs milliseconds that it waits. Default: as long as an edge takes to serve a new one
 * @throws Error with the reason that a client would give
 */
export async function lookAtCertificate(box: TlsBox, waitMs = SERVED_WITHIN_MS): Promise<string> {
  const deadline = Date.now() + waitMs;
  while (true) {
    try {
      const socket = await connectTo(box);
      const { valid_to, issuer } = socket.getPeerCertificate();
      const trusted = socket.authorized
        ? ""
        : ", which this machine does not trust: clients need its root certificate";
      socket.destroy();
      const until = new Date(valid_to).toISOString().slice(0, 10);
      return `for ${new URL(box.endpoint).hostname}, until ${until}, by ${issuer.O ?? issuer.CN}${trusted}`;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

/**
 * `fetch` for a box's own TLS port. It sends nothing before it has checked the certificate for the endpoint's host. It
 * does not check the issuer: the connection does not leave this host.
 */
export function tlsFetch(box: TlsBox): (url: string, init: RequestInit) => Promise<Response> {
  return async (url, init) => {
    const { host, pathname, search } = new URL(url);
    const socket = await connectTo(box);
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          createConnection: () => socket,
          method: init.method ?? "GET",
          path: pathname + search,
          headers: { ...(init.headers as Record<string, string>), host, connection: "close" },
          signal: init.signal ?? undefined,
        },
        (answer) =>
          resolve(
            new Response(Readable.toWeb(answer) as ReadableStream<Uint8Array>, { status: answer.statusCode }),
          ),
      );
      asked.on("error", reject);
      asked.end(init.body as string | undefined);
    });
  };
}

/** How requests go to a box by its ways: with TLS by {@link tlsFetch}. */
export function sendTo({
  endpoint,
  clients,
}: BoxWays): (url: string, init: RequestInit) => Promise<Response> {
  return endpoint.startsWith("https:") ? tlsFetch({ endpoint, ...clients }) : fetch;
}

async function connectTo({ endpoint, address, port }: TlsBox): Promise<TLSSocket> {
  const { hostname } = new URL(endpoint);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const socket = connect({
    host: address,
    port,
    servername: isIP(host) ? undefined : host,
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
  });
  await within(HANDSHAKE_MS, (signal) => once(socket, "secureConnect", { signal }));
  const fault = faultOf(host, socket.getPeerCertificate());
  if (fault) socket.destroy();
  if (fault) throw new Error(fault);
  return socket;
}

function faultOf(host: string, certificate: PeerCertificate): string | undefined {
  const wrongName = checkServerIdentity(host, certificate);
  if (wrongName)
    return `the certificate is not for ${host}: ${certificate.subjectaltname ?? "it names no host"}`;
  const [from, until] = [certificate.valid_from, certificate.valid_to].map((date) =>
    new Date(date).getTime(),
  );
  if (until! < Date.now()) return `the certificate expired on ${certificate.valid_to}`;
  return from! > Date.now() ? `the certificate is not valid before ${certificate.valid_from}` : undefined;
}
