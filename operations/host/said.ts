/** The lines `key=value` of a script on the host, in their order, with the values decoded from base64. */
export function saidBy(text: string): [key: string, value: string][] {
  return text.split("\n").flatMap((line): [string, string][] => {
    const found = /^(\w+)=(.*)$/.exec(line);
    return found ? [[found[1]!, Buffer.from(found[2]!, "base64").toString()]] : [];
  });
}
