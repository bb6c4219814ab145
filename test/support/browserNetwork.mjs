// Runs Chromium in a network namespace whose interfaces never change: elsewhere it gives up all requests when a container of any test
// comes or goes. What its pages may reach is listed as address:port, and comes through a Unix socket each.
// Words: folder of the sockets, endpoints with commas between them, the browser, its arguments.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";

const [folder, endpoints, browser, ...words] = process.argv.slice(2);
const ip = (...args) => execFileSync("ip", args);

ip("link", "set", "lo", "up");
// Without an interface and an address beside it pages believe that they are offline, and ask for nothing.
ip("link", "add", "inside", "type", "veth", "peer", "name", "outside");
for (const name of ["inside", "outside"]) ip("link", "set", name, "up");
ip("address", "add", "192.0.2.1/24", "dev", "inside");

const addresses = new Set();
for (const endpoint of endpoints.split(",")) {
  const [address, port] = endpoint.split(":");
  if (!address.startsWith("127.") && !addresses.has(address))
    ip("address", "add", `${address}/32`, "dev", "inside");
  addresses.add(address);
  const server = createServer((page) => {
    const box = connect(join(folder, endpoint));
    page.pipe(box).pipe(page);
    page.on("error", () => box.destroy());
    box.on("error", () => page.destroy());
  }).listen(Number(port), address);
  await once(server, "listening");
}

// Playwright speaks to it by the descriptors 3 and 4.
const child = spawn(browser, words, { stdio: ["inherit", "inherit", "inherit", "inherit", "inherit"] });
child.on("exit", (code) => process.exit(code ?? 1));
