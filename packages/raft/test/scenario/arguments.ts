/** Splits `deliver 2 from=1 count=3` into a name, plain words and options. */
export function parseArguments(command: string): {
  name: string;
  words: string[];
  options: Record<string, string>;
} {
  const [name = '', ...rest] = command.trim().split(/\s+/);
  const words: string[] = [];
  const options: Record<string, string> = {};
  for (const word of rest) {
    const cut = word.indexOf('=');
    if (cut < 0) words.push(word);
    else options[word.slice(0, cut)] = word.slice(cut + 1);
  }
  return { name, words, options };
}
