/** The socket as a connection sees it. The real one is `node/socket-wire.ts`; tests drive a connection through arrays. */
export interface Wire {
  /**
   * Takes the chunks in order; they must not change any more.
   * @returns false when the socket wants us to wait for `Connection.drained`
   */
  write(chunks: Buffer[]): boolean;
  /** Ends the connection once everything written has left. */
  end(): void;
  /** Ends the connection at once. */
  destroy(): void;
}
