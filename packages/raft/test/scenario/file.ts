/**
 * Scenario files: a sentence of intent, commands, the transcript they are expected to produce.
 *
 *     # What this shows, and why it matters.
 *
 *     propose 1 x          one command a line, up to the dashes
 *     stabilize
 *     ----
 *     1->2 append ...      what they print, up to an empty line
 *
 * `RAFT_REWRITE=1 vitest run packages/raft` writes what was printed into the files. Read the difference like prose,
 * and commit it only when every line of it is understood.
 */
export interface Step {
  readonly commands: readonly string[];
  readonly expected: string;
}

export interface ScenarioFile {
  /** Comment lines before the first step, without their `#`. */
  readonly intent: string;
  readonly steps: readonly Step[];
  /** The file as text with other transcripts in place of the expected ones. */
  withTranscripts(transcripts: readonly string[]): string;
}

const SEPARATOR = '----';

export function parseScenario(text: string): ScenarioFile {
  const blocks = text
    .split(/\n\s*\n/)
    .map((block) => block.trim())
    .filter((block) => block.length > 0);
  const steps: Step[] = [];
  const intent: string[] = [];
  const pieces: (string | { comments: string[]; commands: string[] })[] = [];
  for (const block of blocks) {
    const lines = block.split('\n');
    const comments = lines.filter((line) => line.startsWith('#'));
    const rest = lines.filter((line) => !line.startsWith('#'));
    if (rest.length === 0) {
      if (steps.length === 0) intent.push(...comments.map((line) => line.slice(1).trim()));
      pieces.push(block);
      continue;
    }
    const cut = rest.indexOf(SEPARATOR);
    const commands = cut < 0 ? rest : rest.slice(0, cut);
    steps.push({ commands, expected: cut < 0 ? '' : rest.slice(cut + 1).join('\n') });
    pieces.push({ comments, commands });
  }
  return {
    intent: intent.join(' '),
    steps,
    withTranscripts(transcripts) {
      let position = 0;
      const out = pieces.map((piece) => {
        if (typeof piece === 'string') return piece;
        const transcript = transcripts[position]!;
        position += 1;
        return [...piece.comments, ...piece.commands, SEPARATOR, transcript].join('\n').trimEnd();
      });
      return `${out.join('\n\n')}\n`;
    },
  };
}
