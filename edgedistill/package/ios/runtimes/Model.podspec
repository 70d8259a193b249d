Pod::Spec.new do |s|
  s.name = '{{module}}'
  s.version = '1.0.0'
  s.summary = 'A model with its files'
  s.homepage = 'https://example.com'
  s.license = { :type => 'Apache-2.0', :file => 'LICENSE' }
  s.author = 'edgedistill'
  s.source = { :path => '.' }
  s.ios.deployment_target = '15.0'
  s.swift_version = '5.9'
  s.source_files = 'Sources/{{module}}/*.swift'
  s.resources = 'Sources/{{module}}/data'
  s.dependency 'EdgeLogic'
  s.dependency 'TensorFlowLiteSwift', '~> 2.17'
end
