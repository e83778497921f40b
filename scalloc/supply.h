/* supply.h - an empty span from wherever there is one. */
#ifndef SCALLOC_SUPPLY_H
#define SCALLOC_SUPPLY_H

#include "span.h"

/* An empty span, FREE and in the caller's hands, if possible with about `bytes` of backed pages: from the pool, the free runs or
   the arena. NULL: there is none. `hint` chooses the stack of the pool. */
span *supply_take(uint32_t hint, size_t bytes);

#endif
