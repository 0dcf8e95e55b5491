/**
 * What goes both ways over simulated links: snapshots, pulled chunk by chunk, and calls.
 *
 * Every question and every answer is a journey that may end at a cut link or at a member that is gone. Both sides then learn
 * of it, as over a broken connection: the puller after `BROKEN_AFTER_MS`, the sender by its report.
 */
import type { SnapshotContent } from '@quorate/server';
import { knows, type Port, type SimNetwork } from './network.ts';

/** How long a side that hears nothing takes the connection for alive. */
const BROKEN_AFTER_MS = 500;

/** Sends a snapshot: the message first, then chunks as the other side asks for them. */
export function carrySnapshot(
  network: SimNetwork,
  sender: Port,
  to: bigint,
  message: Uint8Array,
  content: SnapshotContent,
): void {
  let over = false;
  const finish = (ok: boolean): void => {
    if (over) return;
    over = true;
    if (!ok) network.tally.snapshotsBroken++;
    sender.run(() => {
      if (!sender.open) return;
      content.close();
      sender.onReport?.({ to, what: ok ? 'snapshot-ok' : 'snapshot-failed' });
    });
  };
  network.journey(() => {
    const receiver = network.reach(sender, to);
    if (!sender.open || receiver?.onSnapshot == null) {
      finish(false);
      return;
    }
    // A receiver that ends never answers.
    const watch = (): void => {
      if (over) return;
      if (receiver.open && sender.open) network.env.setTimer(BROKEN_AFTER_MS, watch);
      else finish(false);
    };
    watch();
    receiver.run(() => {
      if (!receiver.open) return;
      const arriving = pulledFrom(network, sender, receiver, content, () => finish(false));
      receiver.onSnapshot?.(sender.id, message, arriving, (error) => {
        arriving.close();
        network.journey(() => finish(error === null && network.reach(receiver, sender.id) === sender));
      });
    });
  });
}

/** The content as the receiver sees it. */
function pulledFrom(
  network: SimNetwork,
  sender: Port,
  receiver: Port,
  content: SnapshotContent,
  onBroken: () => void,
): SnapshotContent {
  let closed = false;
  let broken = false;
  return {
    next(done) {
      if (closed) throw new Error('a closed snapshot is read');
      let answered = false;
      const answer = (error: Error | null, chunk: Uint8Array | null): void => {
        if (answered) return;
        answered = true;
        if (error !== null) {
          broken = true;
          onBroken();
        }
        receiver.run(() => {
          if (receiver.open) done(error, chunk);
        });
      };
      const hangUp = (): void => {
        network.env.setTimer(BROKEN_AFTER_MS, () => answer(new Error('the connection broke'), null));
      };
      if (broken) {
        hangUp();
        return;
      }
      const { chunkLoss = 0, chunkDamage = 0 } = network.quality;
      network.journey(() => {
        if (network.reach(receiver, sender.id) !== sender || network.random.chance(chunkLoss)) {
          hangUp();
          return;
        }
        sender.run(() => {
          if (!sender.open) {
            hangUp();
            return;
          }
          content.next((error, chunk) => {
            network.journey(() => {
              if (network.reach(sender, receiver.id) !== receiver || !sender.open) hangUp();
              else if (error !== null) answer(new Error('the sender gave up'), null);
              else answer(null, chunk === null ? null : delivered(network, chunk, chunkDamage));
            });
          });
        });
      });
    },
    close() {
      closed = true;
    },
  };
}

function delivered(network: SimNetwork, chunk: Uint8Array, damage: number): Uint8Array {
  const copy = Uint8Array.from(chunk);
  if (copy.length > 0 && network.random.chance(damage)) {
    network.tally.chunksDamaged++;
    copy[network.random.int(copy.length)]! ^= 1 << network.random.int(8);
  }
  return copy;
}

/** Asks one question of another member. */
export function carryCall(
  network: SimNetwork,
  caller: Port,
  question: {
    readonly to: bigint;
    readonly method: string;
    readonly request: Uint8Array;
    readonly timeoutMs: number;
  },
  done: (error: Error | null, response: Uint8Array | null) => void,
): void {
  const { to, method, request, timeoutMs } = question;
  let answered = false;
  const answer = (error: Error | null, response: Uint8Array | null): void => {
    if (answered) return;
    answered = true;
    timer.cancel();
    if (error !== null) network.tally.callsFailed++;
    caller.run(() => {
      if (caller.open) done(error, response);
    });
  };
  const timer = network.env.setTimer(timeoutMs, () => answer(new Error('no answer in time'), null));
  const isKnown = knows(caller, to);
  const lost = (): boolean => network.random.chance(network.quality.loss);
  network.journey(() => {
    const callee = isKnown ? network.reach(caller, to) : null;
    if (callee === null) {
      answer(new Error('there is no connection'), null);
      return;
    }
    if (lost()) return;
    callee.run(() => {
      if (!callee.open) return;
      const handler = callee.calls.get(method);
      if (handler === undefined) {
        network.journey(() => answer(new Error(`no call is named ${method}`), null));
        return;
      }
      handler(caller.id, request, (error, response) => {
        const copy = response === null ? null : Uint8Array.from(response);
        network.journey(() => {
          if (network.reach(callee, caller.id) !== caller || lost()) return;
          answer(error, copy);
        });
      });
    });
  });
}
