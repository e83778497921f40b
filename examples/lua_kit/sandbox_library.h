/*
 * sandbox_library.h - what a script in the sandbox may call.
 *
 * A limit of instructions acts between instructions of the virtual machine, and not everywhere between these. Left out or guarded is
 *
 *   - what can work for long inside one library function;
 *   - finalizers, in which Lua calls no hooks (the limit of memory holds in them, too: tests/api/lua_limits_states.c);
 *   - xpcall, whose handler runs inside the hook that raises the error, where Lua calls no hooks either;
 *   - coroutine.close, and the close that coroutine.wrap does, for a coroutine that ended in a hook: the same of its __close.
 */
#ifndef SANDBOX_LIBRARY_H
#define SANDBOX_LIBRARY_H

#include <lua.h>

/* Called by guarded functions before they do work that grows with their arguments; raises an error when there is too much. */
typedef void sandbox_charge(lua_State *L, double work);

/* Takes everything else out of the state's libraries. May raise an error. */
void sandbox_restrict(lua_State *L, sandbox_charge *charge);

#endif
