# cmake -D DIRECTORY=<scripts> -D OUTPUT=<file.c> -P embed.cmake
#
# Writes the Lua scripts as C strings, with their includes resolved and without comments and
# indentation, and the SHA1 that Redis will know each of them by.
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
  string(REGEX REPLACE "\n[ \t]*--[^\n]*" "" text "${text}")
  string(REGEX REPLACE "\n[ \t\n]+" "\n" text "${text}")
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
foreach(name claim claimable confirm done forget join lapsed leave lookup mail nodes pardon reap receive release
             remove renew send store submit tell)
  read_script(text ${name}.lua)
  string(REGEX REPLACE "\n$" "" text "${text}")
  string(SUBSTRING "${text}" 1 -1 text)
  write_text(plain "${text}")
  string(REPLACE "'PUBLISH'" "'SPUBLISH'" text "${text}")
  write_text(sharded "${text}")
  string(APPEND source "\nconst mf_script mf__script_${name} = {\n${plain},\n${sharded}};\n")
endforeach()
file(WRITE ${OUTPUT} "${source}")
