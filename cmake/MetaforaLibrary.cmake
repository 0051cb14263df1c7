# How the libraries of this tree are made: objects compiled once, linked as static and shared.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# pkg-config files find the tree from where they lie, so that an installed tree can be moved.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(METAFORA_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
  set(METAFORA_PC_LIBDIR "${CMAKE_INSTALL_FULL_LIBDIR}")
  set(METAFORA_PC_INCLUDEDIR "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
else()
  file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(METAFORA_PC_PREFIX "\${pcfiledir}/${up}")
  set(METAFORA_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(METAFORA_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()

# What programs are bound to: before 1.0 a minor step may break them (metafora/version.h).
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(METAFORA_SOVERSION "0.${PROJECT_VERSION_MINOR}")
else()
  set(METAFORA_SOVERSION "${PROJECT_VERSION_MAJOR}")
endif()

# One of the two forms of a library: its target, its file name, how others name it.
function(metafora_library_form target kind)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "OUTPUT_NAME;EXPORT_NAME" "OBJECTS;PUBLIC;PRIVATE")
  add_library(${target} ${kind})
  add_library(metafora::${arg_EXPORT_NAME} ALIAS ${target})
  foreach(objects ${arg_OBJECTS})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${objects}>)
  endforeach()
  target_include_directories(${target} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE Threads::Threads)
  foreach(library ${arg_PRIVATE})
    target_link_libraries(${target} PRIVATE
      $<BUILD_INTERFACE:PkgConfig::${library}>
      $<INSTALL_INTERFACE:PkgConfig::METAFORA_${library}>)
  endforeach()
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME ${arg_OUTPUT_NAME}
    EXPORT_NAME ${arg_EXPORT_NAME}
    LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION}
    SOVERSION ${METAFORA_SOVERSION})
endfunction()

# metafora_library(<name> EXPORT_NAME <name> OBJECTS <object library>... [PACKAGES <prefix>...]
#                  [ON_CORE] [DRIVER])
#
# Makes lib<name>.a and lib<name>.so, the targets <name>_static and <name>_shared (with '_' for
# '-'), and installs them. PACKAGES are prefixes that pkg_check_modules was given. A library ON_CORE
# brings the core along; so does a DRIVER, which defines mf_linked_driver.
function(metafora_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "ON_CORE;DRIVER" "EXPORT_NAME" "OBJECTS;PACKAGES")
  string(REPLACE "-" "_" target ${name})
  if(arg_ON_CORE OR arg_DRIVER)
    set(static_core metafora_static)
    set(shared_core metafora_shared)
  endif()
  metafora_library_form(${target}_static STATIC OUTPUT_NAME ${name}
    EXPORT_NAME ${arg_EXPORT_NAME}-static OBJECTS ${arg_OBJECTS}
    PUBLIC ${static_core} PRIVATE ${arg_PACKAGES})
  metafora_library_form(${target}_shared SHARED OUTPUT_NAME ${name}
    EXPORT_NAME ${arg_EXPORT_NAME} OBJECTS ${arg_OBJECTS}
    PUBLIC ${shared_core} PRIVATE ${arg_PACKAGES})
  if(arg_DRIVER)
    metafora_link_driver(${target})
  endif()
  install(TARGETS ${target}_static EXPORT metafora-static-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(TARGETS ${target}_shared EXPORT metafora-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# -u: an archive's object that defines mf_linked_driver is wanted also by a program whose own objects
# include no header that asks for it.
function(metafora_link_driver target)
  target_link_options(${target}_static INTERFACE LINKER:-u,mf_linked_driver)
  if(NOT METAFORA_SANITIZE)
    target_link_options(${target}_shared PRIVATE LINKER:-z,defs)
  endif()
endfunction()
