/**
 * Docker's health check by HTTP with bash alone: most engines' images have neither curl nor wget, and a Python interpreter
 * every few seconds is a cost of its own. Exit code 0 only for a 200.
 */
export function bashHealth(port: number, path: string): string[] {
  const request = `GET ${path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n`;
  return [
    "CMD",
    "bash",
    "-c",
    `exec 3<>/dev/tcp/127.0.0.1/${port} && printf '${request}' >&3 && read -r status <&3 && [[ $status == *' 200'* ]]`,
  ];
}
