/**
 * What the command line tells its user in one line. Anything else that is thrown is a defect.
 */
export class CliError extends Error {
  override readonly name = "CliError";
  /** 2: the command line is wrong; 1: it was understood and could not be done. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Node's code of a failed system call, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : undefined;
}
