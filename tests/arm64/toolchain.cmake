# Cross-build for arm64 with Debian's compiler; programs run under qemu-user (tests/run --only arm64).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${CMAKE_FIND_ROOT_PATH})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
set(CMAKE_DISABLE_FIND_PACKAGE_PkgConfig ON) # it would find libraries of this machine

# libatomic_ops is headers alone, which are the same for every processor: those of this machine, without the rest of its folder.
set(ATOMIC_OPS_INCLUDE_DIR ${CMAKE_BINARY_DIR}/atomic_ops)
file(MAKE_DIRECTORY ${ATOMIC_OPS_INCLUDE_DIR})
foreach(entry atomic_ops.h atomic_ops)
  if(NOT EXISTS ${ATOMIC_OPS_INCLUDE_DIR}/${entry})
    file(CREATE_LINK /usr/include/${entry} ${ATOMIC_OPS_INCLUDE_DIR}/${entry} SYMBOLIC)
  endif()
endforeach()
