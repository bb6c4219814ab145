import { keepOutputForJson } from "../platform/process";

let wantsJson = false;

/** From now on standard output belongs to one JSON document. */
export function useJson(): void {
  wantsJson = true;
  keepOutputForJson();
}

/** True when the user asked for JSON. */
export function jsonWanted(): boolean {
  return wantsJson;
}

/** Prints a line for the person at the terminal. */
export function say(line = ""): void {
  if (wantsJson) console.error(line);
  else console.log(line);
}
