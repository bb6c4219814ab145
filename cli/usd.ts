/** US dollars with as many digits as a hundredth of a cent has. */
export function usd(amount: number | undefined): string {
  return amount === undefined ? "" : amount.toFixed(4);
}
