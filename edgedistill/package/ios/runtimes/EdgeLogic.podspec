Pod::Spec.new do |s|
  s.name = 'EdgeLogic'
  s.version = '1.0.0'
  s.summary = 'From pixels and samples to answers, without a runtime'
  s.homepage = 'https://example.com'
  s.license = { :type => 'Apache-2.0', :file => 'LICENSE' }
  s.author = 'edgedistill'
  s.source = { :path => '.' }
  s.ios.deployment_target = '15.0'
  s.swift_version = '5.9'
  s.source_files = 'Sources/EdgeLogic/*.swift'
end
