import Diagnosis
import Files
import Foundation
import Storage

letWritesFail()
let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.count == 2, arguments[0] == ForeignHDF5.command { ForeignHDF5.walk(arguments[1]) }
BLASKernel.choose()
if arguments == [UnforcedRate.command] { UnforcedRate.answer() }
exit(Program.run(arguments))
