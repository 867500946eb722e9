import { SyncError } from '../errors/index.ts'
import { asAppId, asNativeId, asObjectId, type NativeRef } from '../model/ids.ts'

/** A native reference as the `next` and `after` of a page: `<app>/<object>/<native id>`, each part percent-encoded. */
export const refText = ({ app, object, nativeId }: NativeRef): string =>
  [app, object, nativeId].map(encodeURIComponent).join('/')

export function refOf(text: string): NativeRef {
  try {
    const [app, object, nativeId, ...rest] = text.split('/').map(decodeURIComponent)
    if (app !== undefined && object !== undefined && nativeId !== undefined && rest.length === 0) {
      return { app: asAppId(app), object: asObjectId(object), nativeId: asNativeId(nativeId) }
    }
  } catch {
    // Not percent-encoding: refused below.
  }
  throw new SyncError('query.invalid', 'after is not the `next` of a page before')
}
