/** Where a hub answers, as text. */
export const urlOf = ({ host, port }: { readonly host: string; readonly port: number }, isSecure: boolean): string =>
  `http${isSecure ? 's' : ''}://${host.includes(':') ? `[${host}]` : host}:${port}`
