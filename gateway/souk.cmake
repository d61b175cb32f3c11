# The binary: everything together.
set(commit_c ${CMAKE_CURRENT_BINARY_DIR}/commit.c)
add_custom_target(souk_commit
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DOUT=${commit_c}
    -P ${CMAKE_CURRENT_SOURCE_DIR}/commit.cmake
  BYPRODUCTS ${commit_c}
  VERBATIM)
add_subdirectory(cli)
add_executable(souk main.c configure.c serve.c ${commit_c})
add_dependencies(souk souk_commit)
target_include_directories(souk PRIVATE ${PROJECT_SOURCE_DIR})
target_compile_definitions(souk PRIVATE SOUK_VERSION="${PROJECT_VERSION}")
target_link_libraries(souk PRIVATE souk_cli souk_gateway souk_host souk_flags)

# What is made from the tables must be what the tables say now.
if(BUILD_TESTING)
  foreach(page config errors limits)
    string(TOUPPER ${page} name)
    set(command ${page})
    if(page STREQUAL "config")
      set(command docs)
    endif()
    add_test(NAME docs.${page}
      COMMAND sh -c "'$<TARGET_FILE:souk>' config ${command} | diff -u '${PROJECT_SOURCE_DIR}/docs/${name}.md' -")
    set_tests_properties(docs.${page} PROPERTIES LABELS unit TIMEOUT 30)
  endforeach()
endif()
