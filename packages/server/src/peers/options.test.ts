import { expect, test } from 'vitest';
import { peerLimits } from './options.ts';

test('sem-011 a peer is dialled for a second and an election timeout', () => {
  expect(peerLimits(1_000).handshakeMs).toBe(2_000);
  expect(peerLimits(200).handshakeMs).toBe(1_200);
  expect(peerLimits(200, { handshakeMs: 300 }).handshakeMs).toBe(300);
});

test('a peer that is back is heard before an election is due, and a silent one given up by then or soon after', () => {
  for (const electionMs of [100, 1_000, 50_000]) {
    const { reconnectMs, maxReconnectMs, silenceMs, pingIntervalMs } = peerLimits(electionMs);
    expect(maxReconnectMs).toBeLessThanOrEqual(electionMs);
    expect(reconnectMs).toBeLessThanOrEqual(maxReconnectMs);
    expect(silenceMs).toBeGreaterThanOrEqual(2 * electionMs);
    expect(pingIntervalMs * 4).toBeLessThanOrEqual(silenceMs);
  }
});
