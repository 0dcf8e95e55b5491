/**
 * The authentication token: fetched when first needed, shared by all calls, replaced when the server refuses it.
 * One login runs at a time, whoever waits for it.
 */
import {
  type AuthenticateRequest,
  type AuthenticateResponse,
  type Init,
  services,
  type UnaryMethod,
} from '@quorate/proto';
import { ClientError } from './errors.ts';
import type { ConnectOptions } from './options.ts';

type Login = (
  method: UnaryMethod<AuthenticateRequest, AuthenticateResponse>,
  request: Init<AuthenticateRequest>,
) => Promise<AuthenticateResponse>;

export class TokenHolder {
  private readonly auth: ConnectOptions['auth'];
  private readonly login: Login;
  /** The token, or the login under way; undefined when the next call has to log in. */
  private token: Promise<string | undefined> | undefined;
  private logins = 0;

  constructor(auth: ConnectOptions['auth'], login: Login) {
    this.auth = auth;
    this.login = login;
    if (auth !== undefined && 'token' in auth) this.token = Promise.resolve(auth.token);
  }

  get(): Promise<string | undefined> {
    const auth = this.auth;
    if (auth === undefined) return Promise.resolve(undefined);
    if (this.token === undefined && 'username' in auth) {
      const pending = this.authenticate(auth.username, auth.password);
      this.token = pending;
      // A failed login is not kept: the next call tries again.
      pending.catch(() => {
        if (this.token === pending) this.token = undefined;
      });
    }
    return this.token ?? Promise.resolve(undefined);
  }

  /** Counts up with every login: tells which token a call went with. */
  get newest(): number {
    return this.logins;
  }

  /**
   * Takes note of a refusal.
   * @param login of the token that was refused; null when there was none. A token that came later is not blamed: of many calls
   *   that are refused together only the first makes everybody log in.
   * @returns whether a new login may help
   */
  refused(error: ClientError, login: number | null): boolean {
    if (error.retry !== 'authenticate' || this.auth === undefined || !('username' in this.auth)) return false;
    if (login === null || login === this.logins) this.token = undefined;
    return true;
  }

  private async authenticate(name: string, password: string): Promise<string | undefined> {
    this.logins++;
    try {
      const { token } = await this.login(services['etcdserverpb.Auth'].Authenticate, { name, password });
      return token;
    } catch (error) {
      // Without authentication on the server the credentials are simply not needed.
      if (error instanceof ClientError && error.code === 'AUTH_NOT_ENABLED') return undefined;
      throw error;
    }
  }
}
