/** Releases as etcd counts them, `MAJOR.MINOR.PATCH`; a cluster's version has patch 0 and is the lowest minor among its members. */
import { DomainError } from '../errors.ts';

/** What a cluster runs at until every member has said its version (sem-197). */
export const LOWEST_CLUSTER_VERSION = '3.0.0';

export interface Release {
  readonly major: number;
  readonly minor: number;
}

export function parseRelease(text: string): Release | null {
  const match = /^(\d{1,6})\.(\d{1,6})(?:\.\d{1,6})?$/.exec(text);
  return match === null ? null : { major: Number(match[1]), minor: Number(match[2]) };
}

export function compareReleases(one: Release, other: Release): number {
  return one.major - other.major || one.minor - other.minor;
}

/** `3.7.2` and `3.7.0` are the same cluster version. */
export function clusterVersionOf(release: Release): string {
  return `${release.major}.${release.minor}.0`;
}

export function majorMinor(version: string): string {
  const release = parseRelease(version);
  return release === null ? version : `${release.major}.${release.minor}`;
}

/** The release a downgrade to `target` leads to: exactly one minor below the cluster's (sem-194). */
export function downgradeTargetOf(target: string, clusterVersion: string | null): string | DomainError {
  const wanted = parseRelease(target);
  if (wanted === null) return new DomainError('WRONG_DOWNGRADE_VERSION_FORMAT');
  const current = clusterVersion === null ? null : parseRelease(clusterVersion);
  if (current === null) return new DomainError('CLUSTER_VERSION_UNAVAILABLE');
  const isNext = wanted.major === current.major && wanted.minor === current.minor - 1;
  return isNext ? clusterVersionOf(wanted) : new DomainError('INVALID_DOWNGRADE_TARGET_VERSION');
}
