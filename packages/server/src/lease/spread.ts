/**
 * Spreads expiries that pile up after a change of leader (sem-097).
 *
 * Every lease then gets its full time again, so all leases of one TTL would end in the same instant. Here at most
 * `maxPerSec` of them end within any second; the surplus lives a little longer, never shorter.
 *
 *   maxPerSec 2, expiries  10.0 10.0 10.0 10.2 10.9 12.5  (seconds)
 *                becomes   10.0 10.0 11.0 11.0 12.0 12.5
 */
import type { Lease } from './lease.ts';

export function spreadExpiries(leases: readonly Lease[], maxPerSec: number): void {
  if (leases.length <= maxPerSec) return;
  const byExpiry = [...leases].sort((one, other) => one.expiryMs - other.expiryMs);
  for (let index = maxPerSec; index < byExpiry.length; index++) {
    const lease = byExpiry[index]!;
    // The order is kept: both what is compared and what is set never fall from one lease to the next.
    lease.expiryMs = Math.max(lease.expiryMs, byExpiry[index - maxPerSec]!.expiryMs + 1000);
  }
}
