export { type Disk, DiskError, type DiskFile } from './disk.ts';
