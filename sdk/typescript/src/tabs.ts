/**
 * What the tabs of one app share: a lock, so that one of them refreshes at a time; the
 * CSRF token; and an epoch, the time of the last grant or log-off, by which a tab that
 * waited for the lock learns that another has refreshed in the meantime. The grant itself
 * goes from tab to tab as a message and is never stored. A message that is older than
 * what a tab knows is ignored; as epochs are times, this holds without a storage, too.
 *
 * Each part is used where the platform has it. Without, every tab works for itself, and
 * the server's grace for the previous refresh token covers their races.
 */
export class Tabs<Grant> {
  /** Called with a grant from another tab and its time, or without one when another has signed out. */
  onMessage: (grant: Grant | undefined, at: number) => void = () => {};

  private readonly storage = localStorageOrNone();
  private readonly channel: BroadcastChannel | undefined;
  private ownCSRF: string | undefined;
  private seen: number;
  private last: Promise<unknown> = Promise.resolve();
  private arrived: (() => void) | undefined;

  constructor(private readonly key: string) {
    this.seen = this.epoch;
    if (typeof BroadcastChannel === "undefined") return;
    this.channel = new BroadcastChannel(`gatehouse ${key}`);
    // Node would not end while a channel is open; browsers know no unref.
    (this.channel as { unref?: () => void }).unref?.();
    this.channel.onmessage = ({ data }: MessageEvent<{ epoch: number; grant?: Grant; csrf?: string }>) => {
      if (data.epoch < this.seen) return;
      this.seen = data.epoch;
      this.ownCSRF = data.csrf;
      this.arrived?.();
      this.onMessage(data.grant, Math.min(data.epoch, Date.now()));
    };
  }

  /** The CSRF token of the session, from whichever tab had the last grant. */
  get csrf(): string | undefined {
    return this.storage?.getItem(`${this.key} csrf`) ?? this.ownCSRF;
  }

  /** Runs the task while no other tab runs one; where there is no lock, while this tab runs no other. */
  async exclusively<T>(task: () => Promise<T>): Promise<T> {
    let result: Promise<T> | undefined;
    try {
      await globalThis.navigator?.locks?.request(`gatehouse ${this.key}`, () => (result = task()).catch(() => {}));
    } catch {
      // A sandboxed frame may have the lock and not use it.
    }
    return result ?? this.inTurn(task);
  }

  private inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.last.then(task);
    this.last = turn.catch(() => {});
    return turn;
  }

  /** The epoch that this tab knows of. */
  get known(): number {
    return this.seen;
  }

  /**
   * Reports whether another tab has got a grant beyond those that were known before this
   * one waited for the lock. Its message may come later than the lock, so it is waited for.
   */
  async caughtUp(before: number): Promise<boolean> {
    if (this.channel !== undefined && this.epoch > this.seen) await this.nextMessage();
    return this.seen > before && this.ownCSRF !== undefined;
  }

  /** Tells the other tabs of a grant. */
  granted(grant: Grant, csrf: string): void {
    this.ownCSRF = csrf;
    this.store("csrf", csrf);
    this.announce({ grant, csrf });
  }

  /** Tells the other tabs that the session is over. */
  ended(): void {
    this.ownCSRF = undefined;
    this.unstore("csrf");
    this.announce({});
  }

  private get epoch(): number {
    return Number(this.storage?.getItem(`${this.key} epoch`) ?? 0);
  }

  private async nextMessage(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 250);
      this.arrived = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.arrived = undefined;
  }

  private announce(message: { grant?: Grant; csrf?: string }): void {
    this.seen = Math.max(Date.now(), this.seen, this.epoch + 1); // a clock may be set back
    this.store("epoch", String(this.seen));
    this.channel?.postMessage({ epoch: this.seen, ...message });
  }

  /** Stores the value. Where the storage is full, memory and the channel have it; an older one would hide it. */
  private store(name: string, value: string): void {
    try {
      this.storage?.setItem(`${this.key} ${name}`, value);
    } catch {
      this.unstore(name);
    }
  }

  private unstore(name: string): void {
    try {
      this.storage?.removeItem(`${this.key} ${name}`);
    } catch {
      // What can't be removed was not stored.
    }
  }
}

/** The page's storage, unless there is none or the browser forbids it. */
function localStorageOrNone(): Storage | undefined {
  try {
    return typeof localStorage === "undefined" ? undefined : localStorage;
  } catch {
    return undefined;
  }
}
