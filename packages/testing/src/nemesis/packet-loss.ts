/**
 * Packets lost at random on their way to a few ports of this machine (nftables, root): TCP under it repeats them, late. The
 * rule names these ports alone and lives in a table of its own, which goes with `end` and, at the latest, with this process.
 */
import { spawnSync } from 'node:child_process';
import { findProgram } from '../process/server-process.ts';

export interface PacketLoss {
  /** Packets lost so far. */
  lost(): number;
  end(): void;
}

/** Why no packets can be lost here; null: they can. */
export function unableToLose(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'nftables need root on Linux';
  if (findProgram('nft') === null) return 'nft is not installed';
  const table = `quorate_probe_${process.pid}`;
  const able = spawnSync('nft', ['add', 'table', 'inet', table]).status === 0;
  spawnSync('nft', ['delete', 'table', 'inet', table]);
  return able ? null : 'nftables cannot be changed';
}

/** @throws Error when the rule is refused */
export function losePackets(ports: readonly number[], percent: number): PacketLoss {
  const table = `quorate_loss_${process.pid}`;
  const end = () => {
    process.off('exit', end);
    spawnSync('nft', ['delete', 'table', 'inet', table]);
  };
  const rules = `table inet ${table} {
    chain input {
      type filter hook input priority 0;
      tcp dport { ${ports.join(', ')} } numgen random mod 100 < ${percent} counter drop
    }
  }`;
  const made = spawnSync('nft', ['-f', '-'], { input: rules });
  if (made.status !== 0) throw new Error(`nft: ${made.stderr}`);
  process.once('exit', end);
  return {
    lost: () => {
      const listed = spawnSync('nft', ['list', 'table', 'inet', table]).stdout.toString();
      return Number(/counter packets (\d+)/.exec(listed)?.[1] ?? 0);
    },
    end,
  };
}
