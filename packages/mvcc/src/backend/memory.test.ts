import { backendContract } from './backend.contract.ts';
import { memoryBackend } from './memory.ts';

backendContract('memory', () => {
  const backend = memoryBackend();
  return { backend, reopen: () => backend.reopen(), destroy: () => {} };
});
