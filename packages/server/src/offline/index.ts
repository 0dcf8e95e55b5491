/**
 * The offline door: what can be done with a member's files, or etcd's, while no server uses them.
 *
 * Published as `@quorate/server/offline`; tools load it when they need it. A folder is locked while it is worked on, and one that a server
 * uses is refused.
 */

// Our own folders
export { type ClusterPlan, parseInitialCluster } from './cluster-plan.ts';
export { defragmentFolder } from './defragment.ts';
export { OfflineError, type OfflineProblem } from './errors.ts';
// Images and etcd's folders
export { hashFile } from './hash.ts';
export { type MigrateOptions, migrateFromEtcd } from './migrate.ts';
export { type Restored, type RestoreOptions, restoreSnapshot } from './restore.ts';
export { type SnapshotStatus, snapshotStatus } from './status.ts';
