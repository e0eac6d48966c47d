/**
 * What the tabs of one app share: a lock, so that one of them refreshes at a time; the
 * CSRF token; and a counter of grants, by which a tab that waited for the lock learns that
 * another has refreshed in the meantime. The grant itself goes from tab to tab as a
 * message and is never stored.
 *
 * Each part is used where the platform has it. Without, every tab works for itself, and
 * the server's grace for the previous refresh token covers their races.
 */
export class Tabs<Grant> {
  /** Called with a grant from another tab, or without one when another has signed out. */
  onMessage: (grant: Grant | undefined) => void = () => {};

  private readonly storage = localStorageOrNone();
  private readonly channel: BroadcastChannel | undefined;
  private ownCSRF: string | undefined;
  private seen: number;
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
      this.onMessage(data.grant);
      this.arrived?.();
    };
  }

  /** The CSRF token of the session, from whichever tab had the last grant. */
  get csrf(): string | undefined {
    return this.storage?.getItem(`${this.key} csrf`) ?? this.ownCSRF;
  }

  /** Runs the task while no other tab runs one. */
  async exclusively<T>(task: () => Promise<T>): Promise<T> {
    if (typeof navigator === "undefined" || navigator.locks === undefined) return task();
    let result: Promise<T> | undefined;
    await navigator.locks.request(`gatehouse ${this.key}`, () => (result = task()).catch(() => {}));
    return result as Promise<T>; // the lock's callback has run
  }

  /** How many grants this tab knows of. */
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
    this.storage?.setItem(`${this.key} csrf`, csrf);
    this.announce({ grant, csrf });
  }

  /** Tells the other tabs that the session is over. */
  ended(): void {
    this.ownCSRF = undefined;
    this.storage?.removeItem(`${this.key} csrf`);
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
    this.seen = Math.max(this.seen, this.epoch) + 1;
    this.storage?.setItem(`${this.key} epoch`, String(this.seen));
    this.channel?.postMessage({ epoch: this.seen, ...message });
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
