#!/bin/sh
# Prints the versions of Node and npm; or, on stderr and with exit code 1, what is wrong and what to type.
# In sh, because everything else in this repository needs Node.
if [ "$(uname 2>/dev/null)" = Darwin ]; then
  remedy='macOS: brew install node'
else
  remedy='Debian, Ubuntu: curl -fsSL https://deb.nodesource.com/setup_24.x | sudo bash - && sudo apt-get install nodejs'
fi

wrong() {
  printf '%s\n  %s\n' "$1" "$remedy" >&2
  exit 1
}

command -v node >/dev/null || wrong 'Node is not installed; 20.19 or later is required'
node=$(node -p process.versions.node) || wrong 'Node does not start'
node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)' ||
  wrong "Node is $node; 20.19 or later is required"
command -v npm >/dev/null || wrong "npm is not installed; Node $node is"
npm=$(npm --version) || wrong 'npm does not start'
echo "$node, npm $npm"
