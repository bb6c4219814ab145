/** Name of the environment variable that carries a named secret into the gateway. */
export function secretVariable(secret: string): string {
  return `GPUBOX_SECRET_${secret}`;
}
