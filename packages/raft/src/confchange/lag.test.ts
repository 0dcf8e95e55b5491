/** Which configuration a state machine has that lags behind snapshots; the whole way is `testdata/membership/applied-after-snapshot.txt`. */
import { describe, expect, it } from 'vitest';
import { EMPTY_CONF } from './conf.ts';
import { ConfLag } from './lag.ts';

const voters = (...ids: bigint[]) => ({ ...EMPTY_CONF, voters: ids });
const snapshot = (index: number, ...ids: bigint[]) => ({ index, term: 1, conf: voters(...ids) });
const adding = (id: bigint) => (conf: { voters: readonly bigint[] }) => voters(...conf.voters, id);

describe('a state machine behind snapshots', () => {
  it('goes on from what it had', () => {
    const lag = new ConfLag();
    lag.takeOver(snapshot(9, 5n), 3, voters(1n));
    expect(lag.newest).toBe(9);
    expect(lag.apply(4, adding(2n)).voters).toEqual([1n, 2n]);
    expect(lag.apply(7, adding(3n)).voters).toEqual([1n, 2n, 3n]);
  });

  it('goes on from the first snapshot once it is past that, though a second was taken over meanwhile', () => {
    const lag = new ConfLag();
    lag.takeOver(snapshot(9, 5n), 3, voters(1n));
    lag.takeOver(snapshot(20, 8n), 3, voters(5n, 6n));
    expect(lag.apply(4, adding(2n)).voters).toEqual([1n, 2n]);
    expect(lag.apply(12, adding(6n)).voters).toEqual([5n, 6n]);
  });

  it('goes on from the one in force when it had caught up in between', () => {
    const lag = new ConfLag();
    lag.takeOver(snapshot(9, 5n), 3, voters(1n));
    lag.takeOver(snapshot(20, 8n), 11, voters(5n, 6n));
    expect(lag.apply(12, adding(7n)).voters).toEqual([5n, 6n, 7n]);
  });
});
