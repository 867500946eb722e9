/** A refusal that the caller is told of, as RFC 9457 problem+json. Everything else that is thrown is a fault of ours: 500. */
export class RequestProblem extends Error {
  readonly status: number
  readonly code: string
  readonly members: Record<string, unknown>
  readonly headers: Record<string, string>

  constructor(
    status: number,
    code: string,
    detail: string,
    members: Record<string, unknown> = {},
    headers: Record<string, string> = {},
  ) {
    super(detail)
    this.status = status
    this.code = code
    this.members = members
    this.headers = headers
  }

  toJson(): string {
    const { status, code, message: detail } = this
    return JSON.stringify({
      type: `urn:problem:${code}`,
      title: titles[status] ?? 'Error',
      status,
      code,
      detail,
      ...this.members,
    })
  }
}

const titles: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  500: 'Internal Server Error',
}

/** The value of a field cannot be taken. `field` is its path in the body, such as `lines[2].quantity`. */
export function invalidField(field: string, detail: string, code = 'invalid-field'): RequestProblem {
  return new RequestProblem(422, code, `${field}: ${detail}`, { field })
}
