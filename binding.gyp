{
  # rvos builds its addon with CMake (CMakeLists.txt). This file only hands those who call node-gyp to that build;
  # "gypfile": false in package.json keeps npm from calling node-gyp during an install.
  "targets": [
    {
      "target_name": "rvos_core_by_cmake",
      "type": "none",
      "actions": [
        {
          "action_name": "build_native",
          "inputs": ["CMakeLists.txt", "package.json"],
          "outputs": ["build/Release/rvos_core.stamp"],
          "action": ["node", "scripts/build-native.mjs"],
        }
      ],
    }
  ],
}
