/** A failpoint module for the writer thread: ends it at the nth visit of one place, as its own query says (`?at=walBeforeSync&nth=3&how=exit`). */
const query = new URL(import.meta.url).searchParams;
let visits = 0;

export default function endThread(name: string): void {
  if (name !== query.get('at') || ++visits !== Number(query.get('nth'))) return;
  // In a worker this ends the thread, not the process.
  if (query.get('how') === 'exit') process.exit(7);
  throw new Error('a bug in the thread');
}
