import COutOfMemory
import Commands
import Foundation

exit(Program.main(Array(CommandLine.arguments.dropFirst()), commit: commitOfBuild, limitOfOwn: ala_limit_of_own))
