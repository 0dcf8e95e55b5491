import { BackendError, type BackendTransaction, type BackendWriter } from '../backend.ts';
import { getFrom, scanOf } from './access.ts';
import { backendError, namingFullDisk } from './errors.ts';
import type { AppendDatabase, Opened } from './open.ts';

export class LmdbWriter implements BackendWriter {
  readonly #opened: Opened;
  readonly #directory: string;

  constructor(opened: Opened, directory: string) {
    this.#opened = opened;
    this.#directory = directory;
  }

  write(work: (transaction: BackendTransaction) => void): void {
    const { root, tables } = this.#opened;
    const transaction: BackendTransaction = {
      get: (table, key) => getFrom(tables[table]!, key),
      scan: (table, range, visit) => scanOf(tables[table]!, range, visit),
      put: (table, key, value) => {
        tables[table]!.putSync(key, value);
      },
      append: (table, key, value) => {
        // Refused appends are not thrown by lmdb-js.
        if (!(tables[table]! as unknown as AppendDatabase).putSync(key, value, { append: true })) {
          throw new BackendError('KEYEXIST', `append to ${table}: the key is not above the last one`);
        }
      },
      remove: (table, key) => tables[table]!.removeSync(key),
    };
    try {
      root.transactionSync(() => work(transaction));
    } catch (error) {
      throw namingFullDisk(backendError(error), this.#directory);
    }
  }

  close(): void {
    void this.#opened.root.close();
  }
}
