/** What the operating system knows about this process (Linux: elsewhere parts are missing). */
import { readdirSync, readFileSync } from 'node:fs';
import type { MetricsSource } from './source.ts';

/** @param startedMs wall clock when the process began */
export function processMetrics(startedMs: number): MetricsSource {
  const limit = fdLimit();
  return {
    collect(sink) {
      const { user, system } = process.cpuUsage();
      sink.value('process_cpu_seconds_total', (user + system) / 1e6);
      sink.value('process_start_time_seconds', startedMs / 1000);
      sink.value('process_resident_memory_bytes', process.memoryUsage.rss());
      const virtual = /^VmSize:\s+(\d+) kB$/m.exec(readProc('status'))?.[1];
      if (virtual !== undefined) sink.value('process_virtual_memory_bytes', Number(virtual) * 1024);
      const used = openFds();
      if (used !== null) {
        sink.value('process_open_fds', used);
        sink.value('os_fd_used', used);
      }
      if (limit !== null) {
        sink.value('process_max_fds', limit);
        sink.value('os_fd_limit', limit);
      }
    },
  };
}

/** The soft limit; it does not change while we run. */
export function fdLimit(): number | null {
  const soft = /^Max open files\s+(\d+)/m.exec(readProc('limits'))?.[1];
  return soft === undefined ? null : Number(soft);
}

function openFds(): number | null {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    // No such folder on this system, or no descriptor left to open it with.
    return null;
  }
}

function readProc(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8');
  } catch {
    return '';
  }
}
