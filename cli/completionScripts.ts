export const SHELLS = ["bash", "zsh", "fish"] as const;

type Shell = (typeof SHELLS)[number];

/**
 * A script to be sourced. It calls the program that printed it, which need not be on PATH. Without a `gpubox` on PATH
 * it defines one through `npx`.
 *
 * @param program the words that start the program
 */
export function completionScript(shell: Shell, program: string[]): string {
  return SCRIPTS[shell](program);
}

// Nothing that the program prints is evaluated: `compgen -W` would run commands in a name.
const SCRIPTS: Record<Shell, (program: string[]) => string> = {
  bash: (program) => `# Completion of gpubox for bash.
_gpubox() {
  local word
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    COMPREPLY+=("$word")
  done < <(${quoted(program)} completion bash -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _gpubox gpubox
command -v gpubox >/dev/null || gpubox() { npx gpubox "$@"; }
`,
  zsh: (program) => `#compdef gpubox
# Completion of gpubox for zsh.
_gpubox() {
  local -a found
  local word summary
  while IFS=$'\\t' read -r word summary; do
    found+=("\${word//:/\\\\:}\${summary:+:$summary}")
  done < <(${quoted(program)} completion zsh -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#found} )); then _describe gpubox found; else _files; fi
}
(( \${+functions[compdef]} )) || { autoload -Uz compinit && compinit }
compdef _gpubox gpubox
(( \${+commands[gpubox]} )) || gpubox() { npx gpubox "$@" }
`,
  fish: (program) => `# Completion of gpubox for fish.
function __gpubox_complete
    set -l typed (commandline -opc) (commandline -ct)
    set -l found (${quoted(program, "fish")} completion fish -- $typed[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c gpubox -f -a '(__gpubox_complete)'
if not type -q gpubox
    function gpubox
        npx gpubox $argv
    end
end
`,
};

/** Words of a command, each quoted for the shell. */
function quoted(words: string[], shell?: "fish"): string {
  const literal = (word: string) =>
    shell === "fish" ? word.replace(/[\\']/g, "\\$&") : word.replaceAll("'", "'\\''");
  return words.map((word) => `'${literal(word)}'`).join(" ");
}
