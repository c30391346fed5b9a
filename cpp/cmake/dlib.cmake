# dlib's headers and the four sources that the core needs, as the target `dlib_subset`.
#
# They come from -DAGEGENDER_DLIB_SOURCE_DIR=<unpacked dlib>, or else from dlib's own sdist on the package index that pip
# is set up for. Debian's libdlib-dev would bring 71 MB and X11 along.
set(AGEGENDER_DLIB_SOURCE_DIR "" CACHE PATH "Unpacked source of dlib 20.x; empty: fetched with pip")
set(_dlib_version 20.0.1)
set(_dlib_sha256 7cb2a09467de032332c743bc967007f016598c66c9c9ebc54a5b66d3d9e46d54)

if(AGEGENDER_DLIB_SOURCE_DIR)
  set(_dlib_root "${AGEGENDER_DLIB_SOURCE_DIR}")
else()
  set(_dlib_home "${CMAKE_BINARY_DIR}/dlib")
  set(_dlib_root "${_dlib_home}/dlib-${_dlib_version}")
  set(_dlib_archive "${_dlib_home}/dlib-${_dlib_version}.tar.gz")
  if(NOT EXISTS "${_dlib_root}/dlib/image_processing.h")
    message(STATUS "Fetching the source of dlib ${_dlib_version} with pip")
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    set(_python "${Python3_EXECUTABLE}")
    if(DEFINED PYTHON_EXECUTABLE AND EXISTS "${PYTHON_EXECUTABLE}")
      set(_python "${PYTHON_EXECUTABLE}")
    elseif(DEFINED Python_EXECUTABLE)
      set(_python "${Python_EXECUTABLE}")
    endif()
    # `--no-binary dlib`, not `:all:`: the latter would build dlib's build tools from source, too.
    execute_process(
      COMMAND "${_python}" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary dlib
              "dlib==${_dlib_version}" --dest "${_dlib_home}"
      RESULT_VARIABLE _failed ERROR_VARIABLE _why)
    if(_failed OR NOT EXISTS "${_dlib_archive}")
      message(FATAL_ERROR
        "The source of dlib ${_dlib_version} could not be fetched with `${_python} -m pip download`:\n${_why}\n"
        "Without a package index: unpack dlib-${_dlib_version}.tar.gz and configure with "
        "-DAGEGENDER_DLIB_SOURCE_DIR=<folder> (pip install: -C cmake.define.AGEGENDER_DLIB_SOURCE_DIR=<folder>).")
    endif()
    file(SHA256 "${_dlib_archive}" _found_sha256)
    if(NOT _found_sha256 STREQUAL _dlib_sha256)
      file(REMOVE "${_dlib_archive}")
      message(FATAL_ERROR "dlib-${_dlib_version}.tar.gz has sha256 ${_found_sha256}, expected ${_dlib_sha256}")
    endif()
    file(ARCHIVE_EXTRACT INPUT "${_dlib_archive}" DESTINATION "${_dlib_home}"
         PATTERNS "dlib-${_dlib_version}/dlib/*" "dlib-${_dlib_version}/LICENSE*")
  endif()
endif()
if(NOT EXISTS "${_dlib_root}/dlib/image_processing.h")
  message(FATAL_ERROR "AGEGENDER_DLIB_SOURCE_DIR=${_dlib_root} holds no dlib/image_processing.h")
endif()

find_package(Threads REQUIRED)
add_library(dlib_subset STATIC
  "${_dlib_root}/dlib/base64/base64_kernel_1.cpp"
  "${_dlib_root}/dlib/entropy_decoder/entropy_decoder_kernel_2.cpp"
  "${_dlib_root}/dlib/entropy_encoder/entropy_encoder_kernel_2.cpp"
  "${_dlib_root}/dlib/test_for_odr_violations.cpp")
target_include_directories(dlib_subset SYSTEM PUBLIC "${_dlib_root}")
target_compile_definitions(dlib_subset PUBLIC DLIB_NO_GUI_SUPPORT)
target_link_libraries(dlib_subset PUBLIC Threads::Threads)
