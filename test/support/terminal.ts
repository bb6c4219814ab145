import { type RunResult, run } from "../../platform/process";

/** Types each answer when its question has been asked, with the Enter key, and prints what the terminal showed. */
const TYPIST = `import json, os, pty, sys
answers = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
text = ""
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    text += data.decode(errors="replace")
    if answers and answers[0][0] in text:
        os.write(terminal, (answers.pop(0)[1] + "\\r").encode())
print(text)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** Runs a command with a person at its terminal. `answers`: the end of a question, and what is typed then. */
export function atTerminal(
  command: string[],
  answers: [string, string][],
  options: { cwd: string; env: Record<string, string | undefined> },
): Promise<RunResult> {
  const args = ["-c", TYPIST, JSON.stringify(answers), ...command];
  return run("python3", args, { ...options, timeoutMs: 120_000 });
}
