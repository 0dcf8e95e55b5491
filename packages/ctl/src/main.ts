/** The executable: this process's words, streams and exit code. */
import { rawArguments } from './raw-text.ts';
import { run } from './run.ts';

// What Node itself finds old-fashioned in a library is no news for whoever runs a command.
process.noDeprecation = true;

// A reader that goes away (`quoratectl get ... | head -1`) ends the program quietly, as it does others.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

process.stderr.on('error', () => {
  // Nobody reads complaints: the exit code tells.
});

process.exitCode = await run(rawArguments(process.argv.slice(2)), {
  stdin: process.stdin,
  env: process.env,
  inheritStdio: true,
  stdout: (bytes) => void process.stdout.write(bytes),
  stderr: (text) => void process.stderr.write(text),
});
// Nothing may keep the process once the command is done: not an open standard input, not an idle connection.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
process.exit();
