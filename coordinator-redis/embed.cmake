# cmake -D DIRECTORY=<scripts> -D OUTPUT=<file.c> -P embed.cmake
#
# Writes the Lua scripts as C strings, with their includes resolved and without comments and
# indentation, and the SHA1 that Redis will know each of them by.
#
# A script's line "-- keys: a b owners" is the only place that knows the order of its keys: KEY.a is
# KEYS[1] in its text, OWNERS is how many come before the owner keys, and the same list is made for C.
cmake_policy(VERSION 3.25)

# The text of a script, each line preceded by a line feed.
function(read_script out name)
  file(READ ${DIRECTORY}/${name} text)
  set(text "\n${text}")
  while(text MATCHES "\n-- include ([a-z]+\\.lua)")
    set(include "${CMAKE_MATCH_0}")
    read_script(included ${CMAKE_MATCH_1})
    string(REPLACE "${include}" "${included}" text "${text}")
  endwhile()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# Replaces the names of keys in the text by their places; the list of them for C.
function(place_keys text_name list_name script)
  set(text "${${text_name}}")
  if(NOT text MATCHES "\n-- keys: ([a-z ]+)\n")
    message(FATAL_ERROR "${script}.lua: no line '-- keys: '")
  endif()
  string(REPLACE " " ";" names "${CMAKE_MATCH_1}")
  set(list "")
  set(place 0)
  foreach(name IN LISTS names)
    if(name STREQUAL "owners")
      string(REPLACE "OWNERS" "${place}" text "${text}")
      continue()
    endif()
    math(EXPR place "${place} + 1")
    string(REGEX REPLACE "KEY\\.${name}([^a-z])" "KEYS[${place}]\\1" text "${text}")
    string(TOUPPER "${name}" constant)
    if(name MATCHES "^(node|held|left|commands|submitted|charged)$")
      string(APPEND list "    {true, MF_PREFIX_${constant}},\n")
    else()
      string(APPEND list "    {false, MF_KEY_${constant}},\n")
    endif()
  endforeach()
  if(text MATCHES "(KEY\\.[a-z]+|OWNERS)")
    message(FATAL_ERROR "${script}.lua: ${CMAKE_MATCH_1} is not among its keys")
  endif()
  set(${text_name} "${text}" PARENT_SCOPE)
  set(${list_name} "${list}" PARENT_SCOPE)
endfunction()

function(strip out text)
  string(REGEX REPLACE "\n[ \t]*--[^\n]*" "" text "${text}")
  string(REGEX REPLACE "\n[ \t\n]+" "\n" text "${text}")
  string(REGEX REPLACE "\n$" "" text "${text}")
  string(SUBSTRING "${text}" 1 -1 text)
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# An mf_script_text of the script.
function(write_text out text)
  string(SHA1 sha "${text}")
  string(LENGTH "${text}" length)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
  set(${out} "    {\"${text}\",\n     ${length}, \"${sha}\"}" PARENT_SCOPE)
endfunction()

set(source "/* Made from scripts/ by embed.cmake. */\n#include \"scripts.h\"\n")
foreach(name claim claimable confirm copy done drop forget free hold join lapsed leave lookup mail mark nodes pardon
             reap receive release remove renew send store submit tell)
  read_script(text ${name}.lua)
  place_keys(text keys ${name})
  strip(text "${text}")
  write_text(plain "${text}")
  string(REPLACE "'PUBLISH'" "'SPUBLISH'" text "${text}")
  write_text(sharded "${text}")
  string(APPEND source "\nstatic const mf_key_ref ${name}_keys[] = {\n${keys}};\n"
    "const mf_script mf__script_${name} = {\n${plain},\n${sharded},\n"
    "    ${name}_keys, sizeof ${name}_keys / sizeof *${name}_keys};\n")
endforeach()
file(WRITE ${OUTPUT} "${source}")
