/**
 * Facts about etcd's behaviour that no test cites yet, and the piece of work that will.
 *
 * Rows are numbered as in the tables the project was written from: `sem-NNN` is a behavioural fact, `err-SYMBOL` a
 * row of the error registry. A row leaves this list with the first test that names it; `citations.test.ts` sees to it.
 */

type Owner = 'authentication' | 'client';

/** Inclusive ranges. */
export const UNCITED_FACTS: readonly (readonly [from: number, to: number, owner: Owner])[] = [
  [4, 4, 'authentication'],
  [77, 77, 'authentication'],
  [130, 159, 'authentication'],
  [209, 209, 'client'],
  [213, 213, 'client'],
];

export const UNCITED_ERRORS: Readonly<Record<string, Owner>> = {
  ErrGRPCRootUserNotExist: 'authentication',
  ErrGRPCRootRoleNotExist: 'authentication',
  ErrGRPCUserAlreadyExist: 'authentication',
  ErrGRPCUserEmpty: 'authentication',
  ErrGRPCUserNotFound: 'authentication',
  ErrGRPCRoleAlreadyExist: 'authentication',
  ErrGRPCRoleNotFound: 'authentication',
  ErrGRPCRoleEmpty: 'authentication',
  ErrGRPCAuthFailed: 'authentication',
  ErrGRPCPermissionNotGiven: 'authentication',
  ErrGRPCPermissionDenied: 'authentication',
  ErrGRPCRoleNotGranted: 'authentication',
  ErrGRPCPermissionNotGranted: 'authentication',
  ErrGRPCAuthNotEnabled: 'authentication',
  ErrGRPCInvalidAuthToken: 'authentication',
  ErrGRPCInvalidAuthMgmt: 'authentication',
  ErrGRPCAuthOldRevision: 'authentication',
  'auth.ErrNoPasswordUser': 'authentication',
  'auth.ErrVerifyOnly': 'authentication',
};
