/** The Worker of a MIMI provider, for a script of one's own: see `mimi-hub init`. */

/** The Worker with its configuration, the text of hub.jsonc. */
export declare function provider(config: string): { fetch(request: Request, env: unknown, ctx: unknown): Promise<Response> };

/** The classes of its Durable Objects. Their names are never changed: storage is found by them. */
export declare class HubRoom {}
export declare class FollowedRoom {}
export declare class User {}
export declare class Provider {}

/** The Worker with its configuration in the binding `CONFIG`. */
declare const worker: ReturnType<typeof provider>;
export default worker;
