import { describe, expect, it } from 'vitest';
import { EMPTY_CONF } from '../confchange/conf.ts';
import { STORAGE_CONTRACT, type StorageUnderTest } from '../storage-contract.ts';
import { MemoryStorage } from './memory-storage.ts';

function subject(): StorageUnderTest {
  const storage = new MemoryStorage({ ...EMPTY_CONF, voters: [1n] });
  return {
    storage,
    append: (entries) => storage.append(entries),
    setHardState: (hardState) => storage.setHardState(hardState),
    installSnapshot: (snapshot) => storage.installSnapshot(snapshot),
    compact(index) {
      const conf = storage.initialState().conf;
      storage.saveSnapshot({ meta: { index, term: storage.term(index), conf }, data: new Uint8Array(0) });
      storage.compact(index);
    },
  };
}

describe('MemoryStorage keeps the contract', () => {
  for (const { name, run } of STORAGE_CONTRACT) {
    it(name, () => expect(() => run(subject())).not.toThrow());
  }

  it('the contract notices a storage that breaks it', () => {
    const broken = subject();
    const worse = { ...broken, append: () => {} };
    const failed = STORAGE_CONTRACT.filter(({ run }) => {
      try {
        run(worse);
        return false;
      } catch {
        return true;
      }
    });
    expect(failed.length).toBeGreaterThan(4);
  });
});
